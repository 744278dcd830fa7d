package codec

// Steps of the server that decode images. Each has an estimate of the bytes that it holds at its peak, the file included.
// tools/imagememory measures them for every format.

// small is what a step takes whatever the size of the image.
const small = 1 << 20

// pixels is the number of pixels of a frame.
func (i Info) pixels() int64 { return int64(i.Width) * int64(i.Height) }

// LoadBytes is what LoadImage holds: the file, the decoder's memory, and float32 tensors of all frames with their masks.
func (f *File) LoadBytes() int64 {
	values := int64(3)
	if f.Layout.Alpha() {
		values++
	}
	return small + int64(len(f.data)) + f.Working + f.pixels()*values*4*int64(f.Frames)
}

// FrameBytes is what decoding the first frame holds: the file and the decoder's memory.
func (f *File) FrameBytes() int64 { return small + int64(len(f.data)) + f.Working }
