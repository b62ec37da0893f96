"""What commands do once their arguments are read; ``commands`` has the flags."""
