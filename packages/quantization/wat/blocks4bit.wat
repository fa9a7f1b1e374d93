;; The hot loops of 4-bit quantization, sixteen elements at a time.
;; Every arithmetic step is one IEEE float32 operation, so the results are those of the scalar definition, bit for bit.
;; Pointers are byte offsets into the memory; element counts are multiples of 16.
(module
  (memory (export "memory") 11)

  ;; thresholds: f32[15] ascending; order: u8[16], bucket -> code; packed: u8[count / 2]; absmax: f32[blocks].
  ;; divide: 1 for a shorter last block, which bitsandbytes divides by absmax where it multiplies full blocks by 1/absmax.
  (func (export "quantize")
    (param $x i32) (param $count i32) (param $blocksize i32) (param $thresholds i32) (param $order i32)
    (param $packed i32) (param $absmax i32) (param $divide i32)
    (local $end i32) (local $blockEnd i32) (local $p i32) (local $t i32) (local $tEnd i32)
    (local $m v128) (local $scale v128) (local $codes v128) (local $threshold v128)
    (local $s0 v128) (local $s1 v128) (local $s2 v128) (local $s3 v128)
    (local $c0 v128) (local $c1 v128) (local $c2 v128) (local $c3 v128)
    (local $largest f32) (local $clamped f32)
    (local.set $end (i32.add (local.get $x) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $tEnd (i32.add (local.get $thresholds) (i32.const 60)))
    (local.set $codes (v128.load (local.get $order)))
    (loop $block
      (local.set $blockEnd (i32.add (local.get $x) (i32.shl (local.get $blocksize) (i32.const 2))))
      (if (i32.gt_u (local.get $blockEnd) (local.get $end)) (then (local.set $blockEnd (local.get $end))))

      ;; The largest magnitude, as integers: the bit patterns of magnitudes sort like the magnitudes, NaN above infinity.
      (local.set $m (v128.const i32x4 0 0 0 0))
      (local.set $p (local.get $x))
      (loop $max
        (local.set $m (i32x4.max_s (local.get $m)
          (i32x4.max_s
            (i32x4.max_s
              (v128.and (v128.load (local.get $p)) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff))
              (v128.and (v128.load offset=16 (local.get $p)) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff)))
            (i32x4.max_s
              (v128.and (v128.load offset=32 (local.get $p)) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff))
              (v128.and (v128.load offset=48 (local.get $p)) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff))))))
        (br_if $max (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 64))) (local.get $blockEnd))))
      (local.set $m (i32x4.max_s (local.get $m)
        (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $m) (local.get $m))))
      (local.set $m (i32x4.max_s (local.get $m)
        (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $m) (local.get $m))))
      (local.set $largest (f32x4.extract_lane 0 (local.get $m)))
      (local.set $clamped (f32.max (local.get $largest) (f32.const 1e-38)))
      (if (local.get $divide)
        (then
          (f32.store (local.get $absmax) (local.get $clamped))
          (local.set $scale (f32x4.splat (local.get $clamped))))
        (else
          (f32.store (local.get $absmax) (local.get $largest))
          (local.set $scale (f32x4.splat (f32.div (f32.const 1) (local.get $clamped))))))
      (local.set $absmax (i32.add (local.get $absmax) (i32.const 4)))

      (loop $encode
        (local.set $s0 (v128.load (local.get $x)))
        (local.set $s1 (v128.load offset=16 (local.get $x)))
        (local.set $s2 (v128.load offset=32 (local.get $x)))
        (local.set $s3 (v128.load offset=48 (local.get $x)))
        (if (local.get $divide)
          (then
            (local.set $s0 (f32x4.div (local.get $s0) (local.get $scale)))
            (local.set $s1 (f32x4.div (local.get $s1) (local.get $scale)))
            (local.set $s2 (f32x4.div (local.get $s2) (local.get $scale)))
            (local.set $s3 (f32x4.div (local.get $s3) (local.get $scale))))
          (else
            (local.set $s0 (f32x4.mul (local.get $s0) (local.get $scale)))
            (local.set $s1 (f32x4.mul (local.get $s1) (local.get $scale)))
            (local.set $s2 (f32x4.mul (local.get $s2) (local.get $scale)))
            (local.set $s3 (f32x4.mul (local.get $s3) (local.get $scale)))))
        ;; The bucket is 15 less the thresholds that the value does not exceed (a true comparison adds -1).
        ;; Counted this way NaN lands in the last bucket, where torch.bucketize puts it.
        (local.set $c0 (v128.const i32x4 15 15 15 15))
        (local.set $c1 (v128.const i32x4 15 15 15 15))
        (local.set $c2 (v128.const i32x4 15 15 15 15))
        (local.set $c3 (v128.const i32x4 15 15 15 15))
        (local.set $t (local.get $thresholds))
        (loop $search
          (local.set $threshold (v128.load32_splat (local.get $t)))
          (local.set $c0 (i32x4.add (local.get $c0) (f32x4.le (local.get $s0) (local.get $threshold))))
          (local.set $c1 (i32x4.add (local.get $c1) (f32x4.le (local.get $s1) (local.get $threshold))))
          (local.set $c2 (i32x4.add (local.get $c2) (f32x4.le (local.get $s2) (local.get $threshold))))
          (local.set $c3 (i32x4.add (local.get $c3) (f32x4.le (local.get $s3) (local.get $threshold))))
          (br_if $search (i32.lt_u (local.tee $t (i32.add (local.get $t) (i32.const 4))) (local.get $tEnd))))
        (local.set $c0 (i8x16.swizzle (local.get $codes)
          (i8x16.narrow_i16x8_u
            (i16x8.narrow_i32x4_u (local.get $c0) (local.get $c1))
            (i16x8.narrow_i32x4_u (local.get $c2) (local.get $c3)))))
        ;; Each 16-bit lane holds (second code, first code); the first goes to the high nibble.
        (local.set $c0 (v128.and (v128.const i16x8 0xff 0xff 0xff 0xff 0xff 0xff 0xff 0xff)
          (v128.or
            (i16x8.shl (local.get $c0) (i32.const 4))
            (i16x8.shr_u (local.get $c0) (i32.const 8)))))
        (v128.store64_lane 0 (local.get $packed) (i8x16.narrow_i16x8_u (local.get $c0) (local.get $c0)))
        (local.set $packed (i32.add (local.get $packed) (i32.const 8)))
        (br_if $encode (i32.lt_u (local.tee $x (i32.add (local.get $x) (i32.const 64))) (local.get $blockEnd))))
      (br_if $block (i32.lt_u (local.get $x) (local.get $end)))))

  ;; planes: u8[64], byte k of all sixteen code values at 16 k; absmax: f32[blocks]; out: f32[count].
  (func (export "dequantize")
    (param $packed i32) (param $count i32) (param $blocksize i32) (param $planes i32) (param $absmax i32) (param $out i32)
    (local $end i32) (local $blockEnd i32)
    (local $b0 v128) (local $b1 v128) (local $b2 v128) (local $b3 v128)
    (local $index v128) (local $low v128) (local $high v128) (local $scale v128)
    (local $first v128) (local $second v128) (local $third v128) (local $fourth v128)
    (local.set $b0 (v128.load (local.get $planes)))
    (local.set $b1 (v128.load offset=16 (local.get $planes)))
    (local.set $b2 (v128.load offset=32 (local.get $planes)))
    (local.set $b3 (v128.load offset=48 (local.get $planes)))
    (local.set $end (i32.add (local.get $out) (i32.shl (local.get $count) (i32.const 2))))
    (loop $block
      (local.set $blockEnd (i32.add (local.get $out) (i32.shl (local.get $blocksize) (i32.const 2))))
      (if (i32.gt_u (local.get $blockEnd) (local.get $end)) (then (local.set $blockEnd (local.get $end))))
      (local.set $scale (v128.load32_splat (local.get $absmax)))
      (local.set $absmax (i32.add (local.get $absmax) (i32.const 4)))
      (loop $decode
        (local.set $index (v128.load64_zero (local.get $packed)))
        (local.set $packed (i32.add (local.get $packed) (i32.const 8)))
        (local.set $index (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23
          (i8x16.shr_u (local.get $index) (i32.const 4))
          (v128.and (local.get $index) (v128.const i8x16 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15 15))))
        ;; The four bytes of each of the sixteen values; interleaving them pair by pair gives the floats.
        (local.set $first (i8x16.swizzle (local.get $b0) (local.get $index)))
        (local.set $third (i8x16.swizzle (local.get $b2) (local.get $index)))
        (local.set $second (i8x16.swizzle (local.get $b1) (local.get $index)))
        (local.set $fourth (i8x16.swizzle (local.get $b3) (local.get $index)))
        (local.set $low (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $first) (local.get $second)))
        (local.set $high (i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23 (local.get $third) (local.get $fourth)))
        (v128.store (local.get $out) (f32x4.mul (local.get $scale)
          (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $low) (local.get $high))))
        (v128.store offset=16 (local.get $out) (f32x4.mul (local.get $scale)
          (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $low) (local.get $high))))
        (local.set $low (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $first) (local.get $second)))
        (local.set $high (i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31 (local.get $third) (local.get $fourth)))
        (v128.store offset=32 (local.get $out) (f32x4.mul (local.get $scale)
          (i8x16.shuffle 0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23 (local.get $low) (local.get $high))))
        (v128.store offset=48 (local.get $out) (f32x4.mul (local.get $scale)
          (i8x16.shuffle 8 9 24 25 10 11 26 27 12 13 28 29 14 15 30 31 (local.get $low) (local.get $high))))
        (br_if $decode (i32.lt_u (local.tee $out (i32.add (local.get $out) (i32.const 64))) (local.get $blockEnd))))
      (br_if $block (i32.lt_u (local.get $out) (local.get $end)))))

  ;; bfloat16 bits to float32: the same bits with sixteen zeros below.
  (func (export "widenBfloat16") (param $in i32) (param $count i32) (param $out i32)
    (local $end i32) (local $v v128)
    (local.set $end (i32.add (local.get $out) (i32.shl (local.get $count) (i32.const 2))))
    (loop $next
      (local.set $v (v128.load (local.get $in)))
      (v128.store (local.get $out) (i32x4.shl (i32x4.extend_low_i16x8_u (local.get $v)) (i32.const 16)))
      (v128.store offset=16 (local.get $out) (i32x4.shl (i32x4.extend_high_i16x8_u (local.get $v)) (i32.const 16)))
      (local.set $in (i32.add (local.get $in) (i32.const 16)))
      (br_if $next (i32.lt_u (local.tee $out (i32.add (local.get $out) (i32.const 32))) (local.get $end)))))
)
