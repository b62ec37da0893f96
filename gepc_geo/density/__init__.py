"""What normal windows look like: neighbours, alterations, mixtures, tail probabilities."""
