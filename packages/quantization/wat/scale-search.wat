;; The searches for the scales of GGUF blocks, four parts of a block at a time, one in each lane.
;; Every arithmetic step is one IEEE float32 operation in the order of the scalar definition, so results are the same bit for bit.
;; Memory, sixteen bytes for each element of the four parts: elements at 0, weights at 512, the codes found at 1024, those that are tried at 1536
;; (all float32); then the scales at 2048 and the negated minimums at 2064.
(module
  (memory (export "memory") 1)

  ;; codes at $to become those at $from in the lanes of the mask
  (func $take (param $bytes i32) (param $mask v128)
    (local $p i32)
    (loop $next
      (v128.store offset=1024 (local.get $p)
        (v128.bitselect (v128.load offset=1536 (local.get $p)) (v128.load offset=1024 (local.get $p)) (local.get $mask)))
      (br_if $next (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $bytes)))))

  ;; bytes: 16 for each element of a part; the others as in the scalar definition, absolute 1 for yes
  (func (export "withMinimum")
    (param $bytes i32) (param $top f32) (param $first f32) (param $by f32) (param $steps i32) (param $absolute i32)
    (local $p i32) (local $step i32)
    (local $min v128) (local $max v128) (local $sumW v128) (local $sumX v128) (local $range v128) (local $inverse v128)
    (local $scale v128) (local $least v128) (local $top4 v128) (local $zero v128) (local $value v128) (local $weight v128)
    (local $code v128) (local $off v128) (local $weighted v128) (local $sumL v128) (local $sumL2 v128) (local $sumXL v128)
    (local $determinant v128) (local $newScale v128) (local $newMin v128) (local $error v128) (local $better v128)
    (local $flat v128) (local $magnitude v128)
    (local.set $top4 (f32x4.splat (local.get $top)))
    (local.set $magnitude (i32x4.splat (i32.sub (i32.const 0) (local.get $absolute))))
    (local.set $min (v128.load (i32.const 0)))
    (local.set $max (local.get $min))
    (local.set $sumW (v128.load offset=512 (i32.const 0)))
    (local.set $sumX (f32x4.mul (local.get $sumW) (local.get $min)))
    (local.set $p (i32.const 16))
    (loop $range
      (local.set $value (v128.load (local.get $p)))
      (local.set $weight (v128.load offset=512 (local.get $p)))
      (local.set $min (f32x4.pmin (local.get $min) (local.get $value)))
      (local.set $max (f32x4.pmax (local.get $max) (local.get $value)))
      (local.set $sumW (f32x4.add (local.get $sumW) (local.get $weight)))
      (local.set $sumX (f32x4.add (local.get $sumX) (f32x4.mul (local.get $weight) (local.get $value))))
      (br_if $range (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $bytes))))
    (local.set $min (f32x4.pmin (local.get $min) (local.get $zero)))
    (local.set $flat (f32x4.eq (local.get $max) (local.get $min)))
    (local.set $inverse (f32x4.div (local.get $top4) (f32x4.sub (local.get $max) (local.get $min))))
    (local.set $scale (f32x4.div (f32x4.splat (f32.const 1)) (local.get $inverse)))

    (local.set $p (i32.const 0))
    (loop $plain
      (local.set $value (v128.load (local.get $p)))
      (local.set $code (f32x4.max (local.get $zero) (f32x4.min (local.get $top4)
        (f32x4.nearest (f32x4.mul (local.get $inverse) (f32x4.sub (local.get $value) (local.get $min)))))))
      (v128.store offset=1024 (local.get $p) (local.get $code))
      (local.set $off (f32x4.sub (f32x4.add (f32x4.mul (local.get $scale) (local.get $code)) (local.get $min)) (local.get $value)))
      (local.set $off (v128.bitselect (f32x4.abs (local.get $off)) (f32x4.mul (local.get $off) (local.get $off)) (local.get $magnitude)))
      (local.set $least (f32x4.add (local.get $least) (f32x4.mul (v128.load offset=512 (local.get $p)) (local.get $off))))
      (br_if $plain (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $bytes))))

    (loop $try
      (local.set $inverse (f32x4.div
        (f32x4.splat (f32.add
          (f32.add (local.get $first) (f32.mul (local.get $by) (f32.convert_i32_s (local.get $step))))
          (local.get $top)))
        (f32x4.sub (local.get $max) (local.get $min))))
      (local.set $sumL (local.get $zero))
      (local.set $sumL2 (local.get $zero))
      (local.set $sumXL (local.get $zero))
      (local.set $p (i32.const 0))
      (loop $sums
        (local.set $value (v128.load (local.get $p)))
        (local.set $code (f32x4.max (local.get $zero) (f32x4.min (local.get $top4)
          (f32x4.nearest (f32x4.mul (local.get $inverse) (f32x4.sub (local.get $value) (local.get $min)))))))
        (v128.store offset=1536 (local.get $p) (local.get $code))
        (local.set $weighted (f32x4.mul (v128.load offset=512 (local.get $p)) (local.get $code)))
        (local.set $sumL (f32x4.add (local.get $sumL) (local.get $weighted)))
        (local.set $sumL2 (f32x4.add (local.get $sumL2) (f32x4.mul (local.get $weighted) (local.get $code))))
        (local.set $sumXL (f32x4.add (local.get $sumXL) (f32x4.mul (local.get $weighted) (local.get $value))))
        (br_if $sums (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $bytes))))
      (local.set $determinant (f32x4.sub
        (f32x4.mul (local.get $sumW) (local.get $sumL2))
        (f32x4.mul (local.get $sumL) (local.get $sumL))))
      (local.set $newScale (f32x4.div
        (f32x4.sub (f32x4.mul (local.get $sumW) (local.get $sumXL)) (f32x4.mul (local.get $sumX) (local.get $sumL)))
        (local.get $determinant)))
      (local.set $newMin (f32x4.div
        (f32x4.sub (f32x4.mul (local.get $sumL2) (local.get $sumX)) (f32x4.mul (local.get $sumL) (local.get $sumXL)))
        (local.get $determinant)))
      (local.set $better (f32x4.gt (local.get $newMin) (local.get $zero)))
      (local.set $newScale (v128.bitselect
        (f32x4.div (local.get $sumXL) (local.get $sumL2)) (local.get $newScale) (local.get $better)))
      (local.set $newMin (v128.andnot (local.get $newMin) (local.get $better)))
      (local.set $error (local.get $zero))
      (local.set $p (i32.const 0))
      (loop $errors
        (local.set $off (f32x4.sub
          (f32x4.add (f32x4.mul (local.get $newScale) (v128.load offset=1536 (local.get $p))) (local.get $newMin))
          (v128.load (local.get $p))))
        (local.set $off (v128.bitselect (f32x4.abs (local.get $off)) (f32x4.mul (local.get $off) (local.get $off)) (local.get $magnitude)))
        (local.set $error (f32x4.add (local.get $error) (f32x4.mul (v128.load offset=512 (local.get $p)) (local.get $off))))
        (br_if $errors (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $bytes))))
      (local.set $better (v128.and
        (f32x4.gt (local.get $determinant) (local.get $zero)) (f32x4.lt (local.get $error) (local.get $least))))
      (if (v128.any_true (local.get $better))
        (then
          (call $take (local.get $bytes) (local.get $better))
          (local.set $least (v128.bitselect (local.get $error) (local.get $least) (local.get $better)))
          (local.set $scale (v128.bitselect (local.get $newScale) (local.get $scale) (local.get $better)))
          (local.set $min (v128.bitselect (local.get $newMin) (local.get $min) (local.get $better)))))
      (br_if $try (i32.le_s (local.tee $step (i32.add (local.get $step) (i32.const 1))) (local.get $steps))))

    (if (v128.any_true (local.get $flat))
      (then
        (memory.fill (i32.const 1536) (i32.const 0) (local.get $bytes))
        (call $take (local.get $bytes) (local.get $flat))))
    (v128.store offset=2048 (i32.const 0) (v128.andnot (local.get $scale) (local.get $flat)))
    (v128.store offset=2064 (i32.const 0) (f32x4.neg (local.get $min))))

  (func (export "symmetric") (param $bytes i32) (param $half f32)
    (local $p i32) (local $step i32)
    (local $extreme v128) (local $tiny v128) (local $value v128) (local $inverse v128) (local $code v128) (local $weight v128)
    (local $sumXL v128) (local $sumL2 v128) (local $scale v128) (local $best v128) (local $better v128) (local $zero v128)
    (local $low v128) (local $high v128) (local $shift f32)
    (local.set $low (f32x4.splat (f32.neg (local.get $half))))
    (local.set $high (f32x4.splat (f32.sub (local.get $half) (f32.const 1))))
    (loop $largest
      (local.set $value (v128.load (local.get $p)))
      (local.set $extreme (v128.bitselect (local.get $value) (local.get $extreme)
        (f32x4.gt (f32x4.abs (local.get $value)) (f32x4.abs (local.get $extreme)))))
      (br_if $largest (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $bytes))))
    (local.set $tiny (f32x4.lt (f32x4.abs (local.get $extreme)) (f32x4.splat (f32.const 1e-15))))
    ;; the plain scale goes first, and is always taken
    (local.set $step (i32.const -10))
    (loop $try
      (if (i32.ne (local.get $step) (i32.const 0))
        (then
          (local.set $shift (f32.mul (f32.const 0.1)
            (f32.convert_i32_s (select (i32.const 0) (local.get $step) (i32.eq (local.get $step) (i32.const -10))))))
          (local.set $inverse (f32x4.div (f32x4.splat (f32.neg (f32.add (local.get $half) (local.get $shift)))) (local.get $extreme)))
          (local.set $sumXL (local.get $zero))
          (local.set $sumL2 (local.get $zero))
          (local.set $p (i32.const 0))
          (loop $sums
            (local.set $value (v128.load (local.get $p)))
            (local.set $code (f32x4.max (local.get $low) (f32x4.min (local.get $high)
              (f32x4.nearest (f32x4.mul (local.get $inverse) (local.get $value))))))
            (v128.store offset=1536 (local.get $p) (f32x4.add (local.get $code) (f32x4.splat (local.get $half))))
            (local.set $weight (f32x4.mul (local.get $value) (local.get $value)))
            (local.set $sumXL (f32x4.add (local.get $sumXL)
              (f32x4.mul (f32x4.mul (local.get $weight) (local.get $value)) (local.get $code))))
            (local.set $sumL2 (f32x4.add (local.get $sumL2)
              (f32x4.mul (f32x4.mul (local.get $weight) (local.get $code)) (local.get $code))))
            (br_if $sums (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 16))) (local.get $bytes))))
          (local.set $better (if (result v128) (i32.eq (local.get $step) (i32.const -10))
            (then (v128.const i32x4 -1 -1 -1 -1))
            (else (v128.and
              (f32x4.gt (local.get $sumL2) (local.get $zero))
              (f32x4.gt (f32x4.mul (local.get $sumXL) (local.get $sumXL)) (f32x4.mul (local.get $best) (local.get $sumL2)))))))
          (if (v128.any_true (local.get $better))
            (then
              (call $take (local.get $bytes) (local.get $better))
              (local.set $scale (v128.bitselect
                (v128.andnot (f32x4.div (local.get $sumXL) (local.get $sumL2)) (f32x4.eq (local.get $sumL2) (local.get $zero)))
                (local.get $scale) (local.get $better)))
              (local.set $best (v128.bitselect
                (f32x4.mul (local.get $scale) (local.get $sumXL)) (local.get $best) (local.get $better)))))))
      (br_if $try (i32.le_s (local.tee $step (i32.add (local.get $step) (i32.const 1))) (i32.const 9))))
    (if (v128.any_true (local.get $tiny))
      (then
        (memory.fill (i32.const 1536) (i32.const 0) (local.get $bytes))
        (call $take (local.get $bytes) (local.get $tiny))))
    (v128.store offset=2048 (i32.const 0) (v128.andnot (local.get $scale) (local.get $tiny)))))
