"""Training, ONNX and GGUF export, quantisation: the only place for torch and transformers."""
