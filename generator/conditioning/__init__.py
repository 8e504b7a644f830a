"""What steers a picture besides noise."""
