// Package conformance replays what was recorded of the real server against the program: requests with the answers that
// they must get, and conversations over the socket with every message in its order.
//
// The recordings are data in tests/testdata/conformance; their format is described there. Where the program is to differ,
// tests/deviations.json says so and why. The package knows the public API only.
package conformance
