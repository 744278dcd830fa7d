package glsl

import (
	"fmt"
	"strings"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// limitWorker keeps a driver from using more memory than textures, the compiler and its results need.
func limitWorker(job *Job) {
	const side, rest = 8 << 30, 4 << 30
	most := uint64(rest + side + 2*job.TextureBytes(nil))
	_ = unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: most, Max: most})
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// Constants of EGL 1.5 and of EGL_MESA_platform_surfaceless.
const (
	eglNone                  = 0x3038
	eglOpenGLESAPI           = 0x30A0
	eglRenderableType        = 0x3040
	eglOpenGLES3Bit          = 0x40
	eglSurfaceType           = 0x3033
	eglPbufferBit            = 1
	eglAlphaSize             = 0x3021
	eglBlueSize              = 0x3022
	eglGreenSize             = 0x3023
	eglRedSize               = 0x3024
	eglHeight                = 0x3056
	eglWidth                 = 0x3057
	eglContextVersion        = 0x3098
	eglSurfacelessMesa       = 0x31DD
	eglNames                 = "libEGL.so.1 libEGL.so"
	eglMissing               = "install libEGL with Mesa's drivers (libegl1 and libgl1-mesa-dri in Debian and Ubuntu)"
	surfaceSide        int32 = 16
)

// egl are the functions of libEGL.
type egl struct {
	getProcAddress       func(name string) uintptr
	getDisplay           func(native uintptr) uintptr
	getPlatformDisplay   func(platform uint32, native uintptr, attributes *int32) uintptr
	initialize           func(display uintptr, major, minor *int32) uint32
	bindAPI              func(api uint32) uint32
	chooseConfig         func(display uintptr, attributes *int32, configs *uintptr, size int32, count *int32) uint32
	createPbufferSurface func(display, config uintptr, attributes *int32) uintptr
	createContext        func(display, config, share uintptr, attributes *int32) uintptr
	makeCurrent          func(display, draw, read, context uintptr) uint32
	getError             func() int32
}

// openGL makes an OpenGL ES 3 context current and returns its functions.
func openGL() (*gl, error) {
	var lib uintptr
	var err error
	for name := range strings.FieldsSeq(eglNames) {
		if lib, err = purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL); err == nil {
			break
		}
	}
	if lib == 0 {
		return nil, fmt.Errorf("%w: %s", ErrUnavailable, eglMissing)
	}
	var e egl
	for _, f := range []struct {
		name string
		to   any
	}{
		{"eglGetProcAddress", &e.getProcAddress},
		{"eglGetDisplay", &e.getDisplay},
		{"eglInitialize", &e.initialize},
		{"eglBindAPI", &e.bindAPI},
		{"eglChooseConfig", &e.chooseConfig},
		{"eglCreatePbufferSurface", &e.createPbufferSurface},
		{"eglCreateContext", &e.createContext},
		{"eglMakeCurrent", &e.makeCurrent},
		{"eglGetError", &e.getError},
	} {
		at, err := purego.Dlsym(lib, f.name)
		if err != nil {
			return nil, fmt.Errorf("%w: libEGL has no %s", ErrUnavailable, f.name)
		}
		purego.RegisterFunc(f.to, at)
	}
	display, err := e.display()
	if err != nil {
		return nil, err
	}
	if err := e.context(display); err != nil {
		return nil, err
	}
	return loadGL(e.getProcAddress)
}

// display opens a display that needs no screen, or the default one.
func (e *egl) display() (uintptr, error) {
	var major, minor int32
	if at := e.getProcAddress("eglGetPlatformDisplayEXT"); at != 0 {
		purego.RegisterFunc(&e.getPlatformDisplay, at)
		if d := e.getPlatformDisplay(eglSurfacelessMesa, 0, nil); d != 0 && e.initialize(d, &major, &minor) != 0 {
			return d, nil
		}
	}
	if d := e.getDisplay(0); d != 0 && e.initialize(d, &major, &minor) != 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%w: EGL has no display (error %#x): %s", ErrUnavailable, e.getError(), eglMissing)
}

func (e *egl) context(display uintptr) error {
	if e.bindAPI(eglOpenGLESAPI) == 0 {
		return fmt.Errorf("%w: EGL has no OpenGL ES", ErrUnavailable)
	}
	attributes := []int32{eglRenderableType, eglOpenGLES3Bit, eglSurfaceType, eglPbufferBit, eglRedSize, 8, eglGreenSize, 8, eglBlueSize, 8, eglAlphaSize, 8, eglNone}
	var config uintptr
	var count int32
	if e.chooseConfig(display, &attributes[0], &config, 1, &count) == 0 || count == 0 {
		return fmt.Errorf("%w: EGL has no configuration for OpenGL ES 3", ErrUnavailable)
	}
	size := []int32{eglWidth, surfaceSide, eglHeight, surfaceSide, eglNone}
	version := []int32{eglContextVersion, 3, eglNone}
	surface, context := e.createPbufferSurface(display, config, &size[0]), e.createContext(display, config, 0, &version[0])
	if surface == 0 || context == 0 || e.makeCurrent(display, surface, surface, context) == 0 {
		return fmt.Errorf("%w: EGL makes no context of OpenGL ES 3 (error %#x)", ErrUnavailable, e.getError())
	}
	return nil
}
