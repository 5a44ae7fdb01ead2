"""The stores: where a log's events are kept. Each passes `agentkit.testing.store_contract.StoreContract`."""
