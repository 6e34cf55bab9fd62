"""Tables, panels and lines for the terminal."""
