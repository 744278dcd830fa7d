//go:build !amd64

package imaging

// vectors leaves every byte to filters.rest.
func (*filters) vectors(_, _ []byte, _ *[5]int) int { return 0 }
