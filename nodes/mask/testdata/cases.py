# Calls of classes that change masks; see tests/nodecalls/record.py.
for mask in [rnd(2, 9, 12), rnd(1, 5, 7, hi=255.0), const(1.0, 1, 3, 3), const(0.0, 1, 3, 3), rnd(1, 6, 6, lo=-0.5)]:
    for width in [0, 1, 3]:
        case("VOIDQuadmaskPreprocess", mask=mask, dilate_width=width)
