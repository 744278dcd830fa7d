// Package anima is the family of Anima: the transformer of Cosmos Predict2 after an adapter, which makes the encoding that the
// transformer reads of the tokens of T5 and the encoding of a small language model.
package anima
