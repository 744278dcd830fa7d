package patches

import (
	"comfygo/engine"
	"comfygo/engine/family/minimaxh3"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() { nodes.Register(&MiniMaxH3SigmaShift{}) }

// MiniMaxH3SigmaShift sets the shifts of the flows of video and audio.
type MiniMaxH3SigmaShift struct {
	Model      *engine.Model `in:"model" type:"MODEL"`
	ShiftVideo float64       `in:"shift_video" default:"12.0" min:"0.01" max:"100.0" step:"0.01"`
	ShiftAudio float64       `in:"shift_audio" default:"3.0" min:"0.01" max:"100.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*MiniMaxH3SigmaShift) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MiniMaxH3SigmaShift", DisplayName: "ModelSamplingMiniMaxH3", Category: "model/patch/minimax",
		Module: "comfy_extras.nodes_minimax_h3", V3: true,
		Outputs:       nodes.Outputs("MODEL"),
		Description:   "Sets the shifts of the noise schedules of video and audio of MiniMax H3.",
		SearchAliases: []string{"sigma shift", "minimax shift"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *MiniMaxH3SigmaShift) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	if !(n.ShiftVideo > 0 && n.ShiftAudio > 0) {
		return nodes.Result{}, errNoShift
	}
	s := es.Settings{Shift: n.ShiftVideo, AudioShift: n.ShiftAudio, Multiplier: 1000, NoiseScale: n.Model.Sampling().Settings().NoiseScale}
	ms, err := es.NewModelSampling(es.FlowAV, s)
	if err != nil {
		return nodes.Result{}, err
	}
	m := n.Model.WithSampling(ms).WithOption(minimaxh3.OptionShiftVideo, n.ShiftVideo).WithOption(minimaxh3.OptionShiftAudio, n.ShiftAudio)
	return nodes.Out(m), nil
}
