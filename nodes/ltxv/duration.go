package ltxv

import (
	"math"

	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&LTXVDurationPredictor{}) }

// LTXVDurationPredictor predicts from a prompt how long its video should be.
type LTXVDurationPredictor struct {
	Model    *engine.Model       `in:"model" type:"MODEL"`
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Head     *engine.ModelPatch  `in:"duration_head" type:"MODEL_PATCH" tooltip:"Duration head of LTX-Video 2, from ModelPatchLoader."`
	Rate     float64             `in:"frame_rate" default:"24.0" min:"1.0" max:"120.0" step:"0.01"`
	Least    float64             `in:"min_seconds" default:"1.0" min:"0.5" max:"120.0" step:"0.1"`
	Most     float64             `in:"max_seconds" default:"20.0" min:"0.5" max:"120.0" step:"0.1"`
}

// Spec implements nodes.Node.
func (*LTXVDurationPredictor) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVDurationPredictor", DisplayName: "LTXV Duration Predictor", Category: "conditioning/video_models",
		Module: "comfy_extras.nodes_lt", V3: true,
		Outputs: []nodes.Output{
			{Type: "INT", Name: "num_frames"},
			{Type: "FLOAT", Name: "seconds", Tooltip: "Predicted duration without the limits."},
		},
		Description:   "Predicts the duration of a prompt's video with the duration head of LTX-Video 2, as a number of frames that the VAE takes.",
		SearchAliases: []string{"auto duration", "duration head", "num_frames"},
		Uses:          nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *LTXVDurationPredictor) Run(ctx *nodes.Context) (nodes.Result, error) {
	switch {
	case n.Model == nil || n.Head == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "predicting the duration: there is no model or no duration head: connect both")
	case len(n.Positive) == 0:
		return nodes.Result{}, nodes.Errorf("IndexError", "predicting the duration: the conditioning has no entry")
	}
	seconds, err := n.Model.Seconds(ctx, n.Head, n.Positive[0])
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "%w", err)
	}
	frames, err := n.frames(seconds)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(int64(frames), seconds), nil
}

// frames is the number of frames of a predicted duration; an error for numbers that are not finite, which a damaged file predicts.
func (n *LTXVDurationPredictor) frames(seconds float64) (int, error) {
	for _, v := range []struct {
		what  string
		value float64
	}{{"the duration head predicts", seconds}, {"frame_rate is", n.Rate}, {"min_seconds is", n.Least}, {"max_seconds is", n.Most}} {
		if v.value-v.value != 0 {
			return 0, nodes.Errorf("ValueError", "predicting the duration: %s %v, want a finite number", v.what, v.value)
		}
	}
	return framesOf(seconds, n.Rate, n.Least, n.Most), nil
}

// framesOf is the number of frames of a duration within limits, one more than a multiple of eight. Where that is below the lower limit it is the
// next one, or the upper limit. Upstream: seconds_to_num_frames.
func framesOf(seconds, rate, least, most float64) int {
	const pace = 8
	rounded := func(s float64) int { return int(math.RoundToEven(max(math.MinInt32, min(s*rate, math.MaxInt32)))) }
	low, high := max(1, rounded(least)), rounded(most)
	frames := (max(low, min(rounded(seconds), high))-1)/pace*pace + 1
	if frames < low {
		frames = min((low-1+pace-1)/pace*pace+1, high)
	}
	return frames
}
