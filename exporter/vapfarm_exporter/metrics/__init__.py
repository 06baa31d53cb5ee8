"""The networks of VBench's metrics, and the model repository that holds them."""
