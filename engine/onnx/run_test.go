package onnx_test

import (
	"testing"

	"comfygo/tests/graphtest"
)

func TestMain(m *testing.M) { graphtest.Main(m) }

// Short names for what all tables here use.
type (
	array = graphtest.Array
	feed  = graphtest.Feed
)

var (
	zeros    = graphtest.Zeros
	random   = graphtest.Random
	filled   = graphtest.Filled
	fixed    = graphtest.Fixed
	symbolic = graphtest.Symbolic
	ints     = graphtest.Ints
	compute  = graphtest.Compute
	same     = graphtest.Same
)
