package conditioning

import (
	_ "embed" // for the encoding
	"sync"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LotusConditioning{})
}

// LotusConditioning gives the conditioning of Lotus, which is always the same: what its text encoder makes of an empty prompt.
type LotusConditioning struct{}

// Spec implements nodes.Node.
func (*LotusConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LotusConditioning", Category: "model/conditioning/lotus",
		Module: "comfy_extras.nodes_lotus", V3: true,
		Outputs:     []nodes.Output{{Type: "CONDITIONING", Name: "conditioning"}},
		Description: "Returns the fixed conditioning of Lotus models, which need no prompt.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *LotusConditioning) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(engine.Conditioning{{Tokens: LotusTokens(), Values: map[string]any{}}}), nil
}

// lotusF16 is the encoding [1,2,1024] in little-endian float16.
//
//go:embed lotus.f16
var lotusF16 []byte

// LotusTokens is the encoding of an empty prompt that Lotus and models made from it read, [1,2,1024].
var LotusTokens = sync.OnceValue(func() *tensor.Tensor {
	const tokens, width = 2, 1024
	t := tensor.New(1, tokens, width)
	for i := range t.Data {
		t.Data[i] = weights.F16ToF32(uint16(lotusF16[2*i]) | uint16(lotusF16[2*i+1])<<8)
	}
	return t
})
