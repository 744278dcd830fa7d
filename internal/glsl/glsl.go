// Package glsl runs fragment shaders (GLSL ES 3.00) over images, off screen through EGL: on a GPU where the system's EGL has one, else in
// software (Mesa's llvmpipe).
//
// Shaders are programs of others, and drivers compile them to machine code. So they run in a process of their own, which is this
// program started anew, knows nothing of its environment, and ends when a frame takes too long, when the context ends or when the
// process that started it does. libEGL is loaded there when it is needed; nothing is linked against it.
//
// The package knows nothing of nodes or tensors.
package glsl

import (
	"regexp"
	"strconv"
	"time"
)

// Bounds of a shader's inputs and outputs.
const (
	MaxImages  = 5
	MaxOutputs = 4
	MaxSource  = 1 << 20 // bytes
	maxCurve   = 1 << 14 // samples
	maxSide    = 1 << 15
)

// Job is a shader with its uniforms: u_resolution, u_image0…, u_float0…, u_int0…, u_bool0…, u_curve0… and u_pass.
type Job struct {
	Source        string
	Width, Height int // of the results
	Images        int // number of them in each frame
	Floats        Numbers
	Ints          []int32
	Bools         []bool
	Curves        []Numbers // tables, sampled along x
	// Limit bounds the time of each frame and of compiling; 0 means DefaultLimit.
	Limit time.Duration `json:"-"`
}

// DefaultLimit is the time that a frame may take.
const DefaultLimit = 2 * time.Minute

// Image is a texture: rows from top to bottom of 3 or 4 channels.
type Image struct {
	Width, Height, Channels int
	Data                    []float32
}

var (
	outputName = regexp.MustCompile(`fragColor(\d+)`)
	passesLine = regexp.MustCompile(`#pragma\s+passes\s+(\d+)`)
)

// Outputs is the number of results: one more than the greatest number behind fragColor in the source, at most MaxOutputs.
func (j *Job) Outputs() int {
	most := 0
	for _, m := range outputName.FindAllStringSubmatch(j.Source, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil || n >= MaxOutputs {
			return MaxOutputs
		}
		most = max(most, n)
	}
	return most + 1
}

// Passes returns the number of times that the shader runs over a frame, each time over the first result of the time before: #pragma
// passes N.
func (j *Job) Passes() int {
	m := passesLine.FindStringSubmatch(j.Source)
	if m == nil {
		return 1
	}
	n, err := strconv.ParseInt(m[1], 10, 32)
	if err != nil {
		n = 1<<31 - 1
	}
	return max(1, int(n))
}

// TextureBytes is about how much memory the worker takes for textures of a frame.
func (j *Job) TextureBytes(images []Image) int64 {
	targets := int64(j.Outputs())
	if j.Passes() > 1 {
		targets += 2
	}
	const pixel = 16
	n := targets * pixel * int64(j.Width) * int64(j.Height)
	for _, i := range images {
		n += 2 * pixel * int64(i.Width) * int64(i.Height)
	}
	return n
}
