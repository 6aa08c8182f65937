"""The gRPC services, thin: each method converts, posts to the loop, converts back."""
