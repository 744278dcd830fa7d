package image

import "comfygo/nodes"

func init() { nodes.Register(&WebcamCapture{}) }

// WebcamCapture loads an image that the browser has captured by a camera and uploaded.
type WebcamCapture struct {
	Image          any  `in:"image" type:"WEBCAM" opts:"{}" tooltip:"Image of the camera, which the client uploads."`
	Width          int  `in:"width" default:"0" min:"0" max:"16384" step:"1" tooltip:"Width that the client captures; 0 leaves it to the camera."`
	Height         int  `in:"height" default:"0" min:"0" max:"16384" step:"1" tooltip:"Height that the client captures; 0 leaves it to the camera."`
	CaptureOnQueue bool `in:"capture_on_queue" default:"true" tooltip:"Captures a new image whenever the workflow is queued."`
}

// Spec implements nodes.Node.
func (*WebcamCapture) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WebcamCapture", DisplayName: "Webcam Capture", Category: "image",
		Module:             "comfy_extras.nodes_webcam",
		EssentialsCategory: "Basics",
		Description:        "Loads an image that the client captures by a camera.",
		SearchAliases:      []string{"camera input", "live capture", "camera feed", "snapshot"},
		Outputs:            nodes.Outputs("IMAGE"), Validates: []string{"image"},
		Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*WebcamCapture) Sizes(s *nodes.Sizing) nodes.Images { return fileSizes(s, "image") }

// Run implements nodes.Node.
func (n *WebcamCapture) Run(ctx *nodes.Context) (nodes.Result, error) {
	images, _, err := loadImage(ctx, nameOf(n.Image))
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(images), nil
}

// Fingerprint is the content of the file.
func (n *WebcamCapture) Fingerprint(ctx *nodes.Context) (any, error) {
	return fileDigest(ctx, nameOf(n.Image))
}

// ValidateInputs refuses names that lead to no file.
func (n *WebcamCapture) ValidateInputs(ctx *nodes.Context) error { return checkValue(ctx, n.Image) }
