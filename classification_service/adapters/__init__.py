"""What only the classification service touches: its tables and ONNX Runtime."""
