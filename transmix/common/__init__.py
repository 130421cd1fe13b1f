"""What every part shares: errors in one line, files written whole, seeds, progress, stopping."""
