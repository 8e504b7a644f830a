"""Conditions that steer a picture besides noise."""
