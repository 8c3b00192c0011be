"""What clients and operators meet: the contract, the gateway that holds it, documents, pages."""
