package latent

import (
	"math"

	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&NormalizeVideoLatentStart{})
}

// NormalizeVideoLatentStart matches the first frames of a video latent with the statistics of those that follow.
type NormalizeVideoLatentStart struct {
	Latent              engine.Latent `in:"latent" type:"LATENT"`
	StartFrameCount     int           `in:"start_frame_count" default:"4" min:"1" max:"16384" step:"1" tooltip:"Number of latent frames to normalize, from the start on."`
	ReferenceFrameCount int           `in:"reference_frame_count" default:"5" min:"1" max:"16384" step:"1" tooltip:"Number of latent frames behind them that give mean and standard deviation."`
}

// Spec implements nodes.Node.
func (*NormalizeVideoLatentStart) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "NormalizeVideoLatentStart", Category: "model/conditioning",
		Module: "comfy_extras.nodes_kandinsky5", V3: true,
		Outputs:     []nodes.Output{{Type: "LATENT", Name: "latent"}},
		Description: "Normalizes the first frames of a video latent to mean and standard deviation of the following frames, so that the start differs less from the rest.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*NormalizeVideoLatentStart) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *NormalizeVideoLatentStart) Run(*nodes.Context) (nodes.Result, error) {
	s := n.Latent.Samples
	if s != nil && len(s.Shape) > 2 && s.Shape[2] == 1 && len(s.Data) > 0 {
		return nodes.Out(n.Latent), nil // upstream looks at the axis before it needs the others
	}
	if s == nil || len(s.Shape) != 5 || len(s.Data) == 0 {
		return nodes.Result{}, nodes.Errorf("IndexError", "normalizing a video latent: the input latent is no video latent [batch, channels, frames, height, width]")
	}
	frames := s.Shape[2]
	start := min(max(n.StartFrameCount, 0), frames)
	reference := framesOf(s, start, min(frames, start+min(n.ReferenceFrameCount, frames-1)))
	mean, deviation := statistics([][]float32{reference.Data})
	out := s.Clone()
	cells := s.Shape[3] * s.Shape[4]
	for b := range s.Shape[0] {
		for f := range start {
			rows := make([][]float32, s.Shape[1])
			for c := range rows {
				rows[c] = out.Data[((b*s.Shape[1]+c)*frames+f)*cells:][:cells]
			}
			normalize(rows, mean, deviation)
		}
	}
	return with(n.Latent, out), nil
}

// statistics returns the mean and the standard deviation (with n-1) of values.
func statistics(rows [][]float32) (mean, deviation float64) {
	n := 0
	for _, row := range rows {
		for _, v := range row {
			mean += float64(v)
		}
		n += len(row)
	}
	mean /= float64(n)
	for _, row := range rows {
		for _, v := range row {
			d := float64(v) - mean
			deviation += float64(d * d)
		}
	}
	return mean, math.Sqrt(deviation / float64(n-1))
}

// normalize shifts and scales a frame to a mean and a standard deviation, which are kept near the frame's own.
func normalize(rows [][]float32, mean, deviation float64) {
	const meanLow, meanHigh, deviationLow, deviationHigh, epsilon = 0.3, 0.35, 0.35, 0.5, 1e-8
	own, ownDeviation := statistics(rows)
	mean = min(max(mean, own-meanLow), own+meanHigh)
	deviation = min(max(deviation, ownDeviation-deviationLow), ownDeviation+deviationHigh)
	for _, row := range rows {
		for i, v := range row {
			row[i] = float32((float64(v)-own)/(ownDeviation+epsilon)*deviation + mean)
		}
	}
}
