// Package logic holds the nodes for values and decisions: constants, and/or/not, the switch, and the one that shows any value as text.
//
// It knows nothing of models or images.
package logic
