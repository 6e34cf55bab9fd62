"""What `perdure law` prints and draws."""
