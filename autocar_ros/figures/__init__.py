"""Pictures for reports and people; matplotlib without a display."""
