"""Which attention, and where? Many candidates, cheaply: a way to questions, and no answer to any."""
