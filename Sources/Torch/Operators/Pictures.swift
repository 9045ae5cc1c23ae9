// Operators of networks over pictures, and norms.

extension Tensor {
    /// The convolution of (B, I, H, W) with a trained weight (O, I, K, K).
    public func conv2d(_ weight: Tensor, stride: Int = 1, padding: Int = 0) throws -> Tensor {
        try aten.conv2d(self, weight, Tensor?.none, [stride, stride], [padding, padding])
    }
    /// Normalises (B, C, …) over each of `groups` of channels.
    public func groupNorm(_ groups: Int, _ weight: Tensor, _ bias: Tensor, epsilon: Double) throws -> Tensor {
        try aten.groupNorm(self, groups, weight, bias, epsilon)
    }
    /// Normalises the last dimension.
    public func layerNorm(_ weight: Tensor, _ bias: Tensor, epsilon: Double) throws -> Tensor {
        try aten.layerNorm(self, weight.shape, weight, bias, epsilon)
    }
    /// (B, C, H, W) → (B, C, height, width), each pixel the nearest one.
    public func upsampledNearest(_ height: Int, _ width: Int) throws -> Tensor {
        try aten.upsampleNearest(self, [height, width], [Double]?.none)
    }
    /// Zeros after the last column and row.
    public func paddedAtEnd(columns: Int, rows: Int) throws -> Tensor {
        try aten.pad(self, [0, columns, 0, rows], 0.0)
    }
}

extension aten {
    static let conv2d = Operator(
        """
        conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=[1, 1], SymInt[2] padding=[0, 0], \
        SymInt[2] dilation=[1, 1], SymInt groups=1) -> Tensor
        """
    )
    static let groupNorm = Operator(
        """
        group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, \
        float eps=1.0000000000000001e-05, bool cudnn_enabled=True) -> Tensor
        """
    )
    static let layerNorm = Operator(
        """
        layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, Tensor? bias=None, \
        float eps=1.0000000000000001e-05, bool cudnn_enable=True) -> Tensor
        """
    )
    static let upsampleNearest = Operator(
        "upsample_nearest2d.vec(Tensor input, SymInt[]? output_size, float[]? scale_factors) -> Tensor"
    )
    static let pad = Operator("constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor")
}
