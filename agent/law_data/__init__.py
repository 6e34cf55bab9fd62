"""Where the points of the forgetting law come from: run folders, sweep folders and files of results."""
