# One module; the kernels are compiled once per instruction set, each with its own flags, and chosen at run time.
{
  'variables': {
    'common_flags': ['-std=c++17', '-O3', '-ffp-contract=fast', '-fvisibility=hidden', '-Wall', '-Wextra', '-Wno-psabi', '-Wno-maybe-uninitialized'],
  },
  'target_defaults': {
    'cflags!': ['-O2', '-fno-omit-frame-pointer', '-Wno-unused-parameter'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20', '-fno-exceptions'],
    'cflags_cc': ['<@(common_flags)'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
      'GCC_OPTIMIZATION_LEVEL': '3',
      'OTHER_CPLUSPLUSFLAGS': ['<@(common_flags)', '-Wno-unknown-pragmas'],
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
    },
    'msbuild_toolset': 'ClangCL',
    'msvs_settings': {'VCCLCompilerTool': {'ExceptionHandling': 1}},
  },
  'targets': [
    {
      'target_name': 'kernels_base',
      'type': 'static_library',
      'sources': ['isa_base.cc'],
    },
    {
      'target_name': 'tunesmith_native',
      'sources': [
        'threads.cc', 'memory.cc', 'code_map.cc', 'dispatch.cc',
        'binding/runtime.cc', 'binding/linear.cc', 'binding/blocks.cc', 'binding/ops.cc',
      ],
      'include_dirs': [
        "<!(node -p \"require('node-addon-api').include_dir\")",
        "<!(node -p \"require('path').dirname(require.resolve('@tunesmith/backend/package.json')) + '/native'\")",
      ],
      'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
      'dependencies': ['kernels_base'],
      'conditions': [
        ['target_arch=="x64"', {'dependencies': ['kernels_avx2', 'kernels_avx512', 'kernels_avx512_bf16']}],
        ['OS=="linux"', {'ldflags': ['-Wl,--gc-sections', '-pthread', '-static-libstdc++', '-static-libgcc']}],
      ],
    },
  ],
  'conditions': [
    ['target_arch=="x64"', {
      'targets': [
        {
          'target_name': 'kernels_avx2',
          'type': 'static_library',
          'sources': ['isa_avx2.cc'],
          'cflags_cc': ['-mavx2', '-mfma', '-mf16c'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(common_flags)', '-mavx2', '-mfma', '-mf16c']},
        },
        {
          'target_name': 'kernels_avx512',
          'type': 'static_library',
          'sources': ['isa_avx512.cc'],
          'cflags_cc': ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mf16c'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(common_flags)', '-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mf16c']},
        },
        {
          'target_name': 'kernels_avx512_bf16',
          'type': 'static_library',
          'sources': ['isa_avx512_bf16.cc'],
          'cflags_cc': ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mavx512bf16', '-mfma', '-mf16c'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(common_flags)', '-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mavx512bf16', '-mfma', '-mf16c']},
        },
      ],
    }],
  ],
}
