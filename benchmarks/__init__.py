"""What the suite's work takes, each measured beside a peer in one run, so that ratios hold on a busy machine too."""
