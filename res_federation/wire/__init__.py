"""Model to protobuf and back; errors to `google.rpc.Status` and back. Nothing else knows both."""
