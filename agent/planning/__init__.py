"""What a life will take, told before it is lived: KL, time, disk and memory."""
