"""The data of the forgetting law, read from run folders, sweep folders and files of results."""
