"""Survey what each attention module does over a data set."""
