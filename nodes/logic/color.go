package logic

import (
	"strconv"

	"comfygo/nodes"
)

func init() {
	nodes.Register(&ColorToRGBInt{})
}

// ColorToRGBInt gives a color as a number, as text and its alpha.
type ColorToRGBInt struct {
	Color any `in:"color" type:"COLOR" default:"#ffffff" socketless:"true"`
}

// Spec implements nodes.Node.
func (*ColorToRGBInt) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ColorToRGBInt", DisplayName: "Color Picker", Category: "utilities",
		Module: "comfy_extras.nodes_color", V3: true,
		Outputs:     []nodes.Output{{Type: "INT", Name: "rgb_int"}, {Type: "COLOR", Name: "hex"}, {Type: "FLOAT", Name: "alpha"}},
		Description: "Returns a color as an RGB integer, as a hex code, and its alpha.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node. Colors are #RRGGBB or #RRGGBBAA.
func (n *ColorToRGBInt) Run(*nodes.Context) (nodes.Result, error) {
	color, ok := n.Color.(string)
	if !ok || len(color) != 7 && len(color) != 9 || color[0] != '#' {
		return nodes.Result{}, errNoColor
	}
	v, err := strconv.ParseUint(color[1:], 16, 64)
	if err != nil {
		return nodes.Result{}, errNoColor
	}
	alpha := 1.0
	if len(color) == 9 {
		alpha, v, color = float64(v&0xff)/255, v>>8, color[:7]
	}
	return nodes.Out(int64(v), color, alpha), nil
}

var errNoColor = nodes.Errorf("ValueError", "reading a color: want #RRGGBB or #RRGGBBAA")
