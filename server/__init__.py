"""What runs at the operator: the ServerApp, its configuration, its report."""
