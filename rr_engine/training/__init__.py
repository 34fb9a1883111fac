"""From games to a network: the training window (`window`) and the training itself (`train`)."""
