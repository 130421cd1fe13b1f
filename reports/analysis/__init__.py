"""What numbers allow to conclude: intervals, paired differences, power, and the words for them."""
