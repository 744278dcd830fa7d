// Package kandinsky is the family of Kandinsky 5, for images and videos. Its text encoders are Qwen 2.5 VL 7B for the encoding and
// CLIP-L for the pooled one.
package kandinsky

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/lm"
)

const (
	video = "<|im_start|>system\nYou are a prompt engineer. Describe the video in detail.\nDescribe how the camera moves or shakes, describe the zoom and view angle, whether it follows the objects.\nDescribe the location of the video, main characters or objects and their action.\nDescribe the dynamism of the video and presented actions.\nName the visual style of the video: whether it is a professional footage, user generated content, some kind of animation, video game or screen content.\nDescribe the visual effects, postprocessing and transitions if they are presented in the video.\nPay attention to the order of key actions shown in the scene.<|im_end|>\n<|im_start|>user\n{}<|im_end|>"
	image = "<|im_start|>system\nYou are a promt engineer. Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>"
)

func init() {
	family.Register(scheme{"Kandinsky 5", 96, "kandinsky5", video})
	family.Register(scheme{"Kandinsky 5 Image", 97, "kandinsky5_image", image})
}

// scheme is upstream's text_encoders/kandinsky5.py Kandinsky5TEModel.
type scheme struct {
	label    string
	order    int
	kind     string
	template string
}

// Name implements family.Family.
func (s scheme) Name() string { return s.label }

// Rank implements family.Family.
func (s scheme) Rank() int { return s.order }

// Type implements family.Scheme.
func (s scheme) Type() string { return s.kind }

// Encoders implements family.Scheme.
func (s scheme) Encoders() []family.SchemeEncoder {
	return []family.SchemeEncoder{
		{Key: lm.KeyQwen25M, Plain: true, Options: lm.Masked(-1), Layout: lm.Unweighted, Text: lm.Chat{Text: s.template}.Write, Arrange: lm.PlaceImages},
		{Key: clip.KeyL},
	}
}

// Join implements family.Scheme.
func (s scheme) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	q, ok := parts[lm.KeyQwen25M]
	l, ok2 := parts[clip.KeyL]
	if !ok || !ok2 {
		return family.Encoding{}, fmt.Errorf("encoding the prompt: %s needs the text encoders %s and %s", s.label, lm.KeyQwen25M, clip.KeyL)
	}
	q, err := lm.WithoutTemplate(q, nil)
	q.Pooled = l.Pooled
	return q, err
}
