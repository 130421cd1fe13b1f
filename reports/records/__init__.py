"""Records on disk: collected for a study, found anywhere, checked, shown, verified, published."""
