"""Actions of members, and what is allowed: requests are made, checked and written. No chat platform."""
