package minimaxh3

// The layout of prompts and the kinds of their tokens.
var (
	Compose = compose
	Tagged  = tagged
)
