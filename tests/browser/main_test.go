package browser_test

import (
	"os"
	"testing"

	"comfygo/tests/browser"
)

func TestMain(m *testing.M) { os.Exit(browser.Main(m)) }
