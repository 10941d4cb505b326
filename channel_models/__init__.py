"""What the radio is: path loss and fading, one plug-in a file."""
