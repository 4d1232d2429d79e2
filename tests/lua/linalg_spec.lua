local sonde = require "sonde"
local expect = require "support.expect"
local linalg = sonde.linalg

local F64 = { dtype = "float64" }

local function randn(...)
  return sonde.randn({ ... }, { dtype = "float64", requires_grad = true })
end

local function check(fn, ...)
  assert.is_true(sonde.gradcheck(fn, { ... }))
end

local function largest(x) return x:abs():max():item() end

local function eye(n) return sonde.eye(n, F64) end

describe("sonde.linalg", function()
  it("takes matrices apart and puts them together again", function()
    for _, shape in ipairs { { 5, 3 }, { 3, 3 }, { 3, 5 }, { 1, 4 }, { 4, 1 } } do
      local m, n = shape[1], shape[2]
      local k = math.min(m, n)
      local a = sonde.randn({ 2, m, n }, F64)
      local q, r = linalg.qr(a)
      expect.shape({ 2, m, k }, q)
      assert.is_true(largest(q:matmul(r) - a) < 1e-14)
      assert.is_true(largest(q:transpose(2, 3):matmul(q) - eye(k)) < 1e-14)
      assert.is_true(largest(r:tril(-1)) == 0)
      q, r = linalg.qr(a, "complete")
      expect.shape({ 2, m, m }, q)
      assert.is_true(largest(q:matmul(r) - a) < 1e-14)
      local u, s, vh = linalg.svd(a, false)
      assert.is_true(largest((u * s:unsqueeze(2)):matmul(vh) - a) < 1e-14)
      u, s, vh = linalg.svd(a)
      expect.shape({ 2, m, m }, u)
      expect.shape({ 2, n, n }, vh)
      assert.is_true(largest(u:transpose(2, 3):matmul(a):matmul(vh:transpose(2, 3)):narrow(2, 1, k):narrow(3, 1, k)
        - sonde.eye(k, F64) * s:unsqueeze(2)) < 1e-14)
    end
    local a = sonde.randn({ 2, 4, 4 }, F64)
    local values, v = linalg.eigh(a + a:transpose(2, 3))
    assert.is_true(largest((v * values:unsqueeze(2)):matmul(v:transpose(2, 3)) - a - a:transpose(2, 3)) < 1e-13)
    assert.is_true(linalg.eigvalsh(a + a:transpose(2, 3)):equal(values))
    local spd = a:matmul(a:transpose(2, 3)) + eye(4)
    local l = linalg.cholesky(spd)
    assert.is_true(largest(l:matmul(l:transpose(2, 3)) - spd) < 1e-13)
    assert.is_true(linalg.cholesky(spd, { upper = true }):equal(l:transpose(2, 3)))
    assert.is_true(largest(a:matmul(linalg.inv(a)) - eye(4)) < 1e-11)
  end)

  it("knows eigenvalues, determinants and exponentials", function()
    local turn = sonde.tensor({ { 0, -2, 0 }, { 2, 0, 0 }, { 0, 0, 3 } }, F64)
    local re, im = linalg.eigvals(turn)
    expect.values({ 0, 0, 3 }, re, 1e-15)
    expect.values({ 2, -2, 0 }, im, 1e-15)
    expect.values(12, linalg.det(turn), 1e-14)
    local sign, log = linalg.slogdet(-turn)
    expect.values({ -1, math.log(12) }, { sign:item(), log:item() }, 1e-14)
    sign, log = linalg.slogdet(sonde.ones(2, 2))
    expect.values({ 0, -math.huge }, { sign:item(), log:item() })
    local c, s, e = math.cos(2), math.sin(2), math.exp(3)
    expect.values({ { c, -s, 0 }, { s, c, 0 }, { 0, 0, e } }, linalg.matrix_exp(turn), 1e-13)
    expect.values({ { 1, 0 }, { 0, 1 } }, linalg.matrix_exp(sonde.zeros(2, 2, F64)), 0)
    local large = sonde.tensor({ { 0, 700 }, { -700, 0 } }, F64)
    expect.values(math.cos(700), linalg.matrix_exp(large)[1][1], 1e-11)
    expect.values({ { math.exp(-800), 0 }, { 0, 1 } }, linalg.matrix_exp(sonde.tensor({ { -800, 0 }, { 0, 0 } }, F64)),
      1e-300)
  end)

  it("passes gradcheck", function()
    check(linalg.solve, randn(2, 3, 3), randn(3, 2))
    check(linalg.solve, randn(3, 3), randn(2, 3, 2))
    check(linalg.solve, randn(2, 3, 3), randn(2, 3))
    check(linalg.inv, randn(2, 3, 3))
    for _, upper in ipairs { true, false } do
      check(function(a, b) return linalg.solve_triangular(a + 3 * eye(3), b, { upper = upper }) end, randn(3, 3),
        randn(2, 3, 2))
      check(function(a, b) return linalg.solve_triangular(a, b, { upper = upper, unitriangular = true }) end,
        randn(3, 3), randn(3, 2))
    end
    check(linalg.slogdet, randn(2, 3, 3))
    check(linalg.matrix_exp, randn(2, 3, 3))
    check(function(a) return linalg.cholesky(a:matmul(a:t()) + eye(3)) end, randn(3, 3))
    check(linalg.eigvalsh, randn(2, 3, 3))
    check(linalg.eigvals, randn(2, 5, 5))
    check(function(a) local l, v = linalg.eigh(a) return l, v:abs() end, randn(2, 3, 3))
    for _, shape in ipairs { { 2, 4, 3 }, { 3, 3 }, { 2, 3, 5 } } do
      check(linalg.qr, randn(table.unpack(shape)))
      check(function(a)
        local u, s, vh = linalg.svd(a, false)
        return u:abs(), s, vh:abs(), u:matmul(vh)
      end, randn(table.unpack(shape)))
    end
    check(function(a) return a:tril(), a:triu(1), a:tril(-1) end, randn(2, 3, 4))
  end)

  it("gives det its gradient where the matrix is singular", function()
    for _, a in ipairs { { { 1, 2, 3 }, { 2, 4, 6 }, { 1, 0, 1 } }, { { 1, 2, 3 }, { 2, 4, 6 }, { 3, 6, 9 } } } do
      check(linalg.det, sonde.tensor(a, { dtype = "float64", requires_grad = true }))
    end
    check(linalg.det, randn(2, 3, 3))
  end)

  it("keeps gradients of any size apart from the scaling of matrix_exp", function()
    local a = sonde.randn({ 3, 3 }, F64)
    local function gradient(scale)
      local x = a:clone():requires_grad_()
      linalg.matrix_exp(x):backward(sonde.ones(3, 3, F64) * scale)
      return x.grad / scale
    end
    assert.is_true(largest(gradient(1) - gradient(1e-200)) < 1e-14 * largest(gradient(1)))
    assert.is_true(largest(gradient(1) - gradient(1e200)) < 1e-14 * largest(gradient(1)))
  end)

  it("computes float32 in float64", function()
    local a = sonde.randn(6, 6)
    for _, name in ipairs { "inv", "det", "matrix_exp", "svdvals", "eigvalsh" } do
      local exact = linalg[name](a:to("float64")):to("float32")
      local got = linalg[name](a)
      assert.equal("float32", got.dtype)
      assert.is_true(got:equal(exact), name)
    end
  end)

  it("cuts triangles", function()
    local x = sonde.arange(1, 7):reshape(2, 3)
    expect.values({ { 1, 0, 0 }, { 4, 5, 0 } }, x:tril())
    expect.values({ { 1, 2, 3 }, { 0, 5, 6 } }, x:triu())
    expect.values({ { 1, 2, 0 }, { 4, 5, 6 } }, x:tril(1))
    expect.values({ { 1, 2, 3 }, { 4, 5, 6 } }, x:triu { diagonal = math.mininteger })
    expect.values({ { 0, 0, 0 }, { 0, 0, 0 } }, x:triu(math.maxinteger))
    expect.shape({ 0, 3 }, sonde.zeros(0, 3):tril())
    expect.error("tril: expected a matrix or a batch of matrices, got [3]", function() sonde.ones(3):tril() end)
  end)

  it("takes empty batches", function()
    for _, name in ipairs { "inv", "det", "qr", "svd", "eigh", "eigvals", "cholesky", "matrix_exp" } do
      assert.equal(0, linalg[name](sonde.zeros(0, 3, 3)):numel())
    end
  end)
end)

describe("sonde.linalg's errors", function()
  it("name the matrix that is singular or not definite", function()
    local batch = sonde.stack { sonde.eye(2), sonde.ones(2, 2) }
    expect.error("linalg.inv: matrix 2 of the batch: the matrix is singular: pivot 2 is exactly 0",
      function() linalg.inv(batch) end)
    expect.error("linalg.solve: the matrix is singular", function() linalg.solve(sonde.zeros(2, 2), sonde.ones(2)) end)
    expect.error("linalg.cholesky: the matrix is not positive definite: its leading minor of order 1 is not positive",
      function() linalg.cholesky(-sonde.eye(2)) end)
    expect.error("singular", function()
      linalg.solve_triangular(sonde.zeros(2, 2), sonde.ones(2, 1), { upper = true })
    end)
  end)

  it("name shapes, types and options", function()
    expect.error("linalg.inv: expected square matrices, got [2, 3]", function() linalg.inv(sonde.ones(2, 3)) end)
    expect.error("linalg.svd: expected a matrix or a batch of matrices, got [3]",
      function() linalg.svd(sonde.ones(3)) end)
    expect.error("linalg.qr: expected matrices of at least 1 row and column, got [0, 3]",
      function() linalg.qr(sonde.ones(0, 3)) end)
    expect.error("linalg.solve: [2, 2] and [3, 1] do not fit",
      function() linalg.solve(sonde.eye(2), sonde.ones(3, 1)) end)
    expect.error("linalg.solve: float32 and float64",
      function() linalg.solve(sonde.eye(2), sonde.ones(2, 1, F64)) end)
    expect.error("takes a float tensor, got int64", function() linalg.det(sonde.ones(2, 2, { dtype = "int64" })) end)
    expect.error("expected one of reduced, complete", function() linalg.qr(sonde.eye(2), "full") end)
    expect.error("'upper' to linalg.solve_triangular",
      function() linalg.solve_triangular(sonde.eye(2), sonde.ones(2, 1)) end)
    expect.error("linalg.matrix_norm: ord must be one of fro, nuc",
      function() linalg.matrix_norm(sonde.eye(2), 7) end)
    expect.error("linalg.matrix_norm: axis 1 is named twice",
      function() linalg.matrix_norm(sonde.eye(2), { dim = { 1, -2 } }) end)
    expect.error("there is no axis 3", function() linalg.vector_norm(sonde.eye(2), { dim = 3 }) end)
    expect.error("a tensor without elements has no norm", function() linalg.norm(sonde.zeros(0, 2)) end)
    expect.error("unknown option 'axis'", function() linalg.norm(sonde.eye(2), { axis = 1 }) end)
    expect.error("expected Tensor, got number", function() linalg.cond(3) end)
    expect.error("expected Tensor, got no value", function() linalg.inv() end)
  end)

  it("tell what is not finite: decompositions refuse it, arithmetic passes it on", function()
    for _, bad in ipairs { 0 / 0, math.huge } do
      local a = sonde.tensor { { bad, 1 }, { 1, 2 } }
      for _, name in ipairs { "qr", "svd", "svdvals", "eigh", "eigvals", "cholesky", "cond" } do
        expect.error("the matrix has elements that are not finite", function() linalg[name](a) end)
      end
      for _, x in ipairs { linalg.det(a), linalg.inv(a)[1][1], linalg.matrix_exp(a)[1][1] } do
        assert.is_true(x:item() ~= x:item())
      end
    end
  end)

  it("do not come from the half of a triangular matrix that is not read", function()
    for _, upper in ipairs { true, false } do
      for _, unit in ipairs { true, false } do
        local function solved(a)
          a:requires_grad_()
          local x = linalg.solve_triangular(a, sonde.ones(70, 2, F64), { upper = upper, unitriangular = unit })
          x:sum():backward()
          return x, a.grad
        end
        local a = (randn(70, 70) * 0.05 + 2 * eye(70)):detach()
        local unread = sonde.ones(70, 70, F64)
        unread = upper and unread:tril(unit and 0 or -1) or unread:triu(unit and 0 or 1)
        local x, dx = solved(upper and a:triu() or a:tril())
        local same_x, same_dx = solved(sonde.where(unread:gt(0), sonde.full({ 70, 70 }, 0 / 0, F64), a))
        assert.is_true(x:equal(same_x) and dx:equal(same_dx))
      end
    end
    local x = linalg.solve_triangular(sonde.tensor { { 1, 0 }, { 0 / 0, 1 } }, sonde.ones(2, 1), { upper = false })
    assert.is_true(x[1][1]:item() == 1 and x[2][1]:item() ~= x[2][1]:item())
  end)

  it("say that a complete QR of a tall matrix has no gradient", function()
    local q = linalg.qr(randn(4, 3), "complete")
    expect.error("has no gradient", function() q:sum():backward() end)
  end)

  it("leave nothing behind when memory ends", function()
    local core = require "sonde.core"
    local a = sonde.randn({ 2, 3, 3 }, { dtype = "float64", requires_grad = true })
    expect.no_leak(core, function()
      for _, name in ipairs { "qr", "svd", "eigh", "eigvals", "inv", "det", "matrix_exp" } do
        for n = 1, 40 do
          core.memory_fail_at(n)
          pcall(function()
            local results = table.pack(linalg[name](a))
            results[1]:sum():backward()
          end)
          core.memory_fail_at(-1)
          a.grad = nil
        end
      end
    end)
  end)
end)
