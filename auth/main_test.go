package auth_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain holds that every goroutine of a store ends with it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
