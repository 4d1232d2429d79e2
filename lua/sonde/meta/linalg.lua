---@meta
-- For editors only: sonde.linalg. Never loaded.

---Decompositions, solving, norms, named as torch.linalg. Matrices are the last two axes [*, m, n], the others a batch;
---float32 is computed in float64 and rounded once. Errors: an axis of 0 rows or columns, a matrix that is singular or not
---positive definite (the message says which of the batch); for decompositions elements that are not finite. Everything has
---gradients unless said.
---@class sonde.linalg
local linalg = {}

---A = QR, k = min(m, n): Q [*, m, k] with QᵀQ = I, R [*, k, n] upper triangular, with LAPACK's signs. "complete": Q is
---[*, m, m]; differentiable where m <= n.
---@param A sonde.Tensor
---@param mode? "reduced"|"complete"|{ mode: string }
---@return sonde.Tensor Q
---@return sonde.Tensor R
function linalg.qr(A, mode) end

---A = U diag(S) Vh, S [*, k] falling; U [*, m, m] and Vh [*, n, n], or, without full_matrices, [*, m, k] and [*, k, n].
---Through U and Vh gradients are infinite where singular values coincide.
---@param A sonde.Tensor
---@param full_matrices? boolean|{ full_matrices: boolean } true
---@return sonde.Tensor U
---@return sonde.Tensor S
---@return sonde.Tensor Vh
function linalg.svd(A, full_matrices) end

---@param A sonde.Tensor
---@return sonde.Tensor S singular values, falling
function linalg.svdvals(A) end

---The symmetric part (A + Aᵀ)/2 = V diag(L) Vᵀ.
---@param A sonde.Tensor
---@return sonde.Tensor L eigenvalues, rising
---@return sonde.Tensor V eigenvectors, in columns
function linalg.eigh(A) end

---@param A sonde.Tensor
---@return sonde.Tensor L eigenvalues of (A + Aᵀ)/2, rising
function linalg.eigvalsh(A) end

---Eigenvalues of any square matrix; conjugate pairs are neighbours.
---@param A sonde.Tensor
---@return sonde.Tensor real
---@return sonde.Tensor imag
function linalg.eigvals(A) end

---X with AX = B: B is [*, n, k], or a vector for each matrix. Batches broadcast.
---@param A sonde.Tensor
---@param B sonde.Tensor
---@return sonde.Tensor X
function linalg.solve(A, B) end

---The same for a triangular A: the other triangle is not looked at.
---@param A sonde.Tensor
---@param B sonde.Tensor
---@param opts { upper: boolean, unitriangular?: boolean }
---@return sonde.Tensor X
function linalg.solve_triangular(A, B, opts) end

---@param A sonde.Tensor
---@return sonde.Tensor
function linalg.inv(A) end

---@param A sonde.Tensor
---@return sonde.Tensor determinant
function linalg.det(A) end

---@param A sonde.Tensor
---@return sonde.Tensor sign 1, -1, or 0 where A is singular; no gradient
---@return sonde.Tensor logabsdet
function linalg.slogdet(A) end

---L with LLᵀ = (A + Aᵀ)/2, or its transpose.
---@param A sonde.Tensor
---@param upper? boolean|{ upper: boolean }
---@return sonde.Tensor
function linalg.cholesky(A, upper) end

---e^A.
---@param A sonde.Tensor
---@return sonde.Tensor
function linalg.matrix_exp(A) end

---Of all elements, or along dim; with ord a vector's or a matrix's norm, as dim has one or two axes.
---@param A sonde.Tensor
---@param ord? number|string|table
---@param dim? integer|integer[]
---@param keepdim? boolean
---@return sonde.Tensor
function linalg.norm(A, ord, dim, keepdim) end

---(Σ |x|^ord)^(1/ord) over one axis, a list of axes, or all elements.
---@param x sonde.Tensor
---@param ord? number|"inf"|"-inf"|table 2
---@param dim? integer|integer[]
---@param keepdim? boolean
---@return sonde.Tensor
function linalg.vector_norm(x, ord, dim, keepdim) end

---@param A sonde.Tensor
---@param ord? "fro"|"nuc"|"inf"|"-inf"|number|table "fro"; also 1, -1, 2, -2
---@param dim? integer[] { -2, -1 }
---@param keepdim? boolean
---@return sonde.Tensor
function linalg.matrix_norm(A, ord, dim, keepdim) end

---‖A‖ ‖A⁻¹‖; by default, for any shape, the largest over the smallest singular value.
---@param A sonde.Tensor
---@param p? "fro"|"nuc"|"inf"|"-inf"|number|table 2
---@return sonde.Tensor
function linalg.cond(A, p) end
