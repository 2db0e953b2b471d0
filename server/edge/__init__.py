"""HTTP in, HTTP out: who may call, what a request may weigh, which dialect it speaks."""
