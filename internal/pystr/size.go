package pystr

import "fmt"

// Longest bounds the texts that nodes make, in bytes: a chain that doubles its text would exhaust the memory.
const Longest = 256 << 20

// SizeError is returned for a text that would be longer than Longest.
type SizeError struct{ Length int }

// Error names both lengths.
func (e *SizeError) Error() string {
	return fmt.Sprintf("making a text: %d bytes are more than %d", e.Length, Longest)
}

// ExceptionType is the name that clients see.
func (e *SizeError) ExceptionType() string { return "MemoryError" }

// CheckSize fails with a *SizeError when a text of length bytes is too long.
func CheckSize(length int) error {
	if length > Longest {
		return &SizeError{length}
	}
	return nil
}
